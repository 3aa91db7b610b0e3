"""How each participant is reached: its settings, from one file or from the environment, checked at start."""
