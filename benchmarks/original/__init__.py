"""The work of the original tutorial done its way and the course's way, and what each difference contributes."""
