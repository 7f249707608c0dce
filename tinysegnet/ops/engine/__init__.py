"""What makes the convolutions and the pooling fast: products in registers, Winograd, and the choice among them."""
