"""Who may do what: `roles` (the table of rights), `secrets` (what the home's owner logs in with)."""
