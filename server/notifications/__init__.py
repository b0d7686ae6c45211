"""How messages leave: over SMTP, by Web Push, through services that Apprise knows, or into a folder to look at."""
