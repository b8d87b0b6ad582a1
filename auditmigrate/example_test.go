package auditmigrate_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// A service checks whether it may start. A deploy migrates.
func ExampleMigrator_Validate() {
	ctx := context.Background()
	db, drop, err := testdb.ForExample(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer drop()
	migrator := auditmigrate.New(db.Pool.Config().ConnConfig, auditmigrate.Config{})
	if _, err := migrator.Down(ctx); err != nil {
		log.Fatal(err)
	}

	err = migrator.Validate(ctx)
	fmt.Println(errors.Is(err, auditmigrate.ErrPending))
	fmt.Println(err)

	changes, err := migrator.Up(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, change := range changes {
		fmt.Println(change.Direction, change.Name)
	}
	fmt.Println(migrator.Validate(ctx))
	// Output:
	// true
	// validating the schema: migrations are pending: 11: run the migrations (migrate up)
	// up 00011_create_retention_functions
	// <nil>
}
