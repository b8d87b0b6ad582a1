// Package audittest gives each test of a service that uses coordaudit a migrated
// PostgreSQL database of its own, reads the trail, and makes statements fail.
//
//	func TestDecisionIsOnRecord(t *testing.T) {
//		t.Parallel()
//		db := audittest.New(t)
//		svc := orders.New(db.Pool, db.Store)
//		…
//		audittest.RequirePersisted(t, t.Context(), db.Pool, audit.Record{…})
//	}
//
// # Where the server comes from
//
// One server serves all tests of a test process. It is the first available one of:
//
//  1. The server of COORDAUDIT_TEST_DATABASE_URL, whose user must be allowed to
//     create databases. No container is started then.
//  2. A container of the image COORDAUDIT_TEST_IMAGE (default postgres:17-alpine),
//     started at the first use. The image is pulled if the engine does not have it.
//  3. A private server from installed programs (in the directory COORDAUDIT_PG_BIN,
//     default searched for). A line on standard error says so, and why.
//
// With COORDAUDIT_REQUIRE_CONTAINER=1 the tests fail instead of going on to 3. A wrong
// setting is a failure, never a reason to try the next server. An example is a
// requested image that cannot be pulled.
//
// # What it writes to
//
// It writes only to databases that it created itself, one for each test, with names
// that begin with coordaudit_test_. It connects to the database that
// COORDAUDIT_TEST_DATABASE_URL names only to create them.
//
// # What is left behind
//
// A test's database is dropped when the test ends. A container or private server ends
// with the test process, even after kill -9. Ryuk, of testcontainers, removes the
// container. If TESTCONTAINERS_RYUK_DISABLED is set, a small shell process of this
// package removes it.
//
// On the server of COORDAUDIT_TEST_DATABASE_URL the migrated template stays for the
// next run (coordaudit_template_…). A process that is killed or calls os.Exit leaves
// its test databases there. The next test process that starts on that server drops
// those without a session.
//
// A test that does not release a connection to its pool fails ten seconds after its
// end. The failure names the session and its last statement.
//
// # What is durable
//
// Committed data survives the loss of its connection, but not a crash of the server,
// because containers and private servers run with fsync and full_page_writes off.
// Crash tests need a server of their own.
//
// # A trap
//
// On a machine that has a file /.dockerenv, testcontainers assumes that it runs inside
// a container. It then waits for a minute for a server that it cannot reach there.
// TESTCONTAINERS_HOST_OVERRIDE=localhost fixes it.
package audittest
