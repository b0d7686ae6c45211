"""Pages that work without a build step: plain HTML, modules and styles, served from here."""
