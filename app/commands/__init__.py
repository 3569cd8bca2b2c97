"""The subcommands of `trialcards`."""
