"""The study of approximation: targets, methods, fits and a chart."""
