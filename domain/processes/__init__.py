"""Processes that span contexts: the only modules that know more than one."""
