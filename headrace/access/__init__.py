"""Who may do what: `roles` (the table of rights), `secrets` (what the home's owner logs in with),
`proofs` (how a gateway proves its answers), `siphash` (a hash that ClickHouse has, too)."""
