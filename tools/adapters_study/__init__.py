"""The study of adapters: learning rates, results and a picture."""
