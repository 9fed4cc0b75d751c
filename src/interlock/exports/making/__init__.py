"""What formats share: messages and tools, filters, duplicates, secrets, the card."""
