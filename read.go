package coordaudit

import (
	"context"
	"fmt"

	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

// AtOneMoment gives read a store whose reading calls all see the trail as it is at
// one moment, however long they take. It uses a REPEATABLE READ, READ ONLY transaction
// and holds its connection until read returns. Numbers that one goroutine reads with
// that store add up. After one of its reading calls has failed in the database, the
// others fail too. Its other calls are those of s.
//
// ctx bounds the start of the transaction. Each call has its own ctx. An error of read
// is returned as it is.
func (s *Store) AtOneMoment(ctx context.Context, read func(*Store) error) error {
	var failed error
	err := s.calls.during(func() error {
		return s.core.driver.AtMoment(ctx, func(driver *auditdriver.Driver) error {
			failed = read(&Store{core: s.core, driver: driver, replaying: s.replaying})
			return failed
		})
	})
	if failed == nil {
		wrap(&err, "reading the audit trail at one moment")
	}
	return err
}

// read runs a reading call, which [Store.Close] waits for. Next to an error it returns
// the zero value.
func read[T any](s *Store, work func() (T, error)) (result T, err error) {
	err = s.calls.during(func() (err error) {
		result, err = work()
		return err
	})
	if err != nil {
		var none T
		return none, err
	}
	return result, nil
}

// wrap says what was tried when *err is not nil. Call it by defer.
func wrap(err *error, format string, args ...any) {
	if *err != nil {
		*err = fmt.Errorf(format+": %w", append(args, *err)...)
	}
}
