"""Episodes and results as text, in the terminal and as pictures."""
