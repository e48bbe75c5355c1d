"""Files of bars in, validated panels and windows out: nothing here can show what has not happened yet."""
