"""Video LLMs as backbones: Valley, and those of transformers."""
