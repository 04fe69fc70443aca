"""Is everything as it should be: `findings` (what a check says), `checks` (all of them), `whereabouts` (of one id)."""
