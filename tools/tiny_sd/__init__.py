"""How `tiny-sd` is made: a Stable Diffusion small enough to train on one CPU core."""
