"""The video LLMs of transformers, read through their own processors."""
