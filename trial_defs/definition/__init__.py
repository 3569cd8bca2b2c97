"""What a definition may say: the language, its compilation, its checks and its versions."""
