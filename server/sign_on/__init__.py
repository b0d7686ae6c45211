"""Signing in by identity providers: OpenID Connect, Apple's and Telegram's ways, and the guard on what is called."""
