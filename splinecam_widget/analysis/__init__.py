"""What follows from a finished partition: measures, graphs, lines, comparisons, files. Knows no widget."""
