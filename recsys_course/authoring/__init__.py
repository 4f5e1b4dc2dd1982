"""How the course is made and graded: files and notebooks, never models."""
