"""The composition root: settings, the ASGI application, authentication, command line and workers."""
