// Package auditmigrate brings a database to the schema that package coordaudit needs,
// and checks whether a database has it.
//
// A deploy migrates, once and before its services start, with the program cmd/migrate
// or from Go:
//
//	migrator, err := auditmigrate.Open(databaseURL, auditmigrate.Config{})
//	…
//	changes, err := migrator.Up(ctx)
//
// A service only checks. The check takes no lock and changes nothing:
//
//	err := auditmigrate.New(pool.Config().ConnConfig, auditmigrate.Config{}).Validate(ctx)
//	if errors.Is(err, auditmigrate.ErrPending) { … }
//
// # Guarantees
//
// Concurrent runs are safe. An advisory lock lets one session migrate, and the others
// wait for it, at most for [Config.LockTimeout]. A run that fails or is interrupted
// leaves only whole migrations, each recorded in the transaction that made it. The
// changes made so far are returned with the error. Migrations that build an index
// concurrently have no transaction. Running them again completes what an interrupted
// run left unfinished.
//
// No call drops records unless [Config.AllowDataLoss] is set. A call that would drop
// some is refused before it reverts anything.
//
// The trail is in one schema, either the first one on the role's search_path that has
// it or the one that [Config.Schema] names. A second trail is created only on request.
//
// Settings of the role or the database have no effect.
//
// # Requirements
//
// Migrating needs a database in UTF8, a role that owns the tables or may create them
// in the trail's schema, and a direct connection. A pooler in transaction mode would
// make the lock ineffective. The reading calls work through any pooler.
package auditmigrate
