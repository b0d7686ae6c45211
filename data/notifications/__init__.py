"""Notifications in PostgreSQL."""

from data.notifications import reads, repositories
from data.notifications.messages import DueNotifications

__all__ = ["DueNotifications", "reads", "repositories"]
