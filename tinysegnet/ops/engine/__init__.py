"""Fast convolution and pooling: matrix products in registers, Winograd's algorithms, and the choice among them."""
