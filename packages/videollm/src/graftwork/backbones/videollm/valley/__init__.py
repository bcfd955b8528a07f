"""Valley as classes of transformers: its configuration, model, prompts, pixels and old weights."""
