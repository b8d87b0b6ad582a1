// Package doctor examines a trail as a whole: the server's settings, its standbys, the
// guards, the rights of roles, the indexes and sequences, what is missing, what is not
// sealed, and how long the disk lasts.
//
//	findings, err := doctor.Diagnose(ctx, pool, doctor.Config{})
//	…
//	for _, f := range findings {
//		fmt.Println(f)
//	}
//
// The program cmd/migrate offers it as migrate doctor. [Checks] lists what is looked at,
// and docs/doctor.md explains it.
//
// A doctor changes nothing and takes no lock that blocks others. A check that its role
// may not do, or that fails, is a finding of severity [Unchecked], and the others are
// done all the same. Run it as the owner of the tables that is a member of pg_monitor,
// which sees what all checks look at.
package doctor
