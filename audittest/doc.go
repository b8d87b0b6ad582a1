// Package audittest gives each test of a service that uses coordaudit a migrated
// PostgreSQL database of its own, looks into the trail, and makes statements fail.
//
//	func TestADecisionIsOnRecord(t *testing.T) {
//		t.Parallel()
//		db := audittest.New(t)
//		svc := orders.New(db.Pool, db.Store)
//		…
//		audittest.RequirePersisted(t, t.Context(), db.Pool, audit.Record{…})
//	}
//
// # Where the server comes from
//
// One server serves all tests of a test process. The first of these that there is:
//
//  1. The server of COORDAUDIT_TEST_DATABASE_URL, whose user must be allowed to
//     create databases. No container is started then.
//  2. A container, started at the first use, of the image COORDAUDIT_TEST_IMAGE
//     (default postgres:17-alpine), which is pulled if the engine does not have it.
//  3. A private server from installed programs (of the folder COORDAUDIT_PG_BIN,
//     default searched for). A line on standard error says so, and why.
//
// With COORDAUDIT_REQUIRE_CONTAINER=1 the tests fail instead of going on to 3. What
// is set and wrong is a failure, never a reason to try the next: an image that was
// asked for by name and cannot be pulled, say.
//
// # What is left behind
//
// Nothing. A test's database is dropped when the test ends. The server goes with the
// test process, even after kill -9: testcontainers' Ryuk removes the container; where
// TESTCONTAINERS_RYUK_DISABLED is set, a small shell process of this package does.
//
// # What is durable
//
// What was committed outlives its connection, not the server: containers and private
// servers run with fsync and full_page_writes off. Crash tests need a server of their own.
//
// # A trap
//
// A machine that has a file /.dockerenv makes testcontainers believe that it runs
// inside a container, and wait for a minute for a server that it cannot reach there.
// TESTCONTAINERS_HOST_OVERRIDE=localhost mends it.
package audittest
