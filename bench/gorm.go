package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/hoc-analytics/coordaudit/audit"
)

// gormBatch is the number of rows per statement. A row has 24 arguments, and PostgreSQL
// takes at most 65,535 in a statement.
const gormBatch = 1000

func openGORM(_ context.Context, d dsn) (*contender, error) {
	return gormContender(d, "GORM", &gorm.Config{}, "gorm.io/driver/postgres on pgx's stdlib, with its defaults, so each insert is a transaction of three round trips. Create, CreateInBatches of 1,000, Clauses(OnConflict DoNothing), Take and Find, and Raw for signals")
}

func openTunedGORM(_ context.Context, d dsn) (*contender, error) {
	return gormContender(d, "GORM, tuned", &gorm.Config{SkipDefaultTransaction: true, PrepareStmt: true},
		"as GORM, with SkipDefaultTransaction and PrepareStmt")
}

func gormContender(d dsn, name string, config *gorm.Config, settings string) (*contender, error) {
	pool, err := openDB(d)
	if err != nil {
		return nil, err
	}
	config.Logger = logger.Discard
	db, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}), config)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening GORM: %w", err), pool.Close())
	}
	once := clause.OnConflict{Columns: []clause.Column{{Name: "audit_id"}}, DoNothing: true}
	return &contender{
		name:     name,
		settings: settings,
		insert: func(ctx context.Context, rec audit.Record) error {
			r := rowOf(&rec)
			return db.WithContext(ctx).Clauses(once).Create(&r).Error
		},
		insertTx: func(ctx context.Context, rec audit.Record) error {
			return db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
				r := rowOf(&rec)
				return tx.Clauses(once).Create(&r).Error
			})
		},
		insertMany: func(ctx context.Context, recs []audit.Record) error {
			rows := make([]row, len(recs))
			for i := range recs {
				rows[i] = rowOf(&recs[i])
			}
			return db.WithContext(ctx).Clauses(once).CreateInBatches(rows, gormBatch).Error
		},
		get: func(ctx context.Context, id uuid.UUID) (answer, error) {
			var r row
			err := db.WithContext(ctx).Take(&r, "audit_id = ?", id).Error
			return answer{rows: 1, last: r.AuditID}, err
		},
		page: func(ctx context.Context, q pageQuery) (answer, error) {
			var rows []row
			query := db.WithContext(ctx).Where("coalesce(tenant_id, '') = ?", tenant)
			if q.skip > 0 {
				query = query.Where("(decision_timestamp, seq) < (?, ?)", q.after.decisionTimestamp, q.after.seq)
			}
			err := query.Order("decision_timestamp DESC, seq DESC").Limit(q.limit).Find(&rows).Error
			return answerOf(rows), err
		},
		timeline: func(ctx context.Context, envelopeID string, limit int) (answer, error) {
			var rows []row
			err := db.WithContext(ctx).Where("coalesce(tenant_id, '') = ?", tenant).
				Where("envelope_id = ? OR conflicting_envelope_id = ? OR preempting_envelope_id = ?", envelopeID, envelopeID, envelopeID).
				Order("decision_timestamp, seq").Limit(limit).Find(&rows).Error
			return answerOf(rows), err
		},
		signals: func(ctx context.Context, since, until time.Time) (answer, error) {
			return signalsGORM(db.WithContext(ctx), since, until)
		},
		close: func(context.Context) error { return pool.Close() },
	}, nil
}

// signalsGORM passes the plain counts as raw SQL, since GORM's builder has no window functions.
func signalsGORM(db *gorm.DB, since, until time.Time) (found answer, err error) {
	for _, sql := range signalsSQL("?", "?", "?") {
		var counts []count
		if err := db.Raw(sql, tenant, since, until).Scan(&counts).Error; err != nil {
			return answer{}, err
		}
		found.rows += len(counts)
	}
	return found, nil
}
