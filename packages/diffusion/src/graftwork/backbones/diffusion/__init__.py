"""Stable Diffusion as a backbone, in full size and in a size that ships."""
