// Package auditmigrate brings a database to the schema that package coordaudit
// works on, and tells whether it is there.
//
// A deploy does the first, once and before its services start, by the program
// cmd/migrate or from Go:
//
//	migrator, err := auditmigrate.Open(databaseURL, auditmigrate.Config{})
//	…
//	changes, err := migrator.Up(ctx)
//
// A service does the second. It takes no lock and changes nothing:
//
//	err := auditmigrate.New(pool.Config().ConnConfig, auditmigrate.Config{}).Validate(ctx)
//	if errors.Is(err, auditmigrate.ErrPending) { … }
//
// # What is promised
//
// Runs at the same time are safe: one session migrates, by an advisory lock, and
// the others wait for it, at most [Config.LockTimeout]. A run that fails or is
// interrupted leaves whole migrations only, each recorded in the transaction that
// made it; the changes already made come back next to the error. Migrations that
// build an index concurrently have no transaction: running them again mends what
// was left half done.
//
// Nothing here drops records unless [Config.AllowDataLoss] says so.
//
// # What it needs
//
// A role that owns the tables or may create them in the first schema of its
// search_path, and a direct connection: through a pooler in transaction mode the
// lock holds nothing. The reading calls work through any pooler.
package auditmigrate
