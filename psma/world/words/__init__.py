"""The grammar behind the text family: situations in plain text files, names and slots, and how a text is
roughened."""
