"""RViDeformer, a transformer that denoises raw video, as a backbone."""
