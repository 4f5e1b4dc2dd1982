"""The course itself, measured: its outputs every time, the time of a chapter, its two commands in a clean clone."""
