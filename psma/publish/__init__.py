"""What is made from the notebooks for a room: slides, blanks for live coding."""
