"""The fast convolutions and pooling: products in registers, Winograd, and the choice among them."""
