"""Photos as they really are, masks, text tables, whole-file writes, parallel work."""
