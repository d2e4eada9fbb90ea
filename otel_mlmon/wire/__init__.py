"""Names and column layout that both ends of the wire share. Standard library only."""
