package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/postgres"
	"github.com/loopstore/loopstore/store/journal/postgres/postgrestest"
)

// found are the findings on a server: what is not OK.
func found(t *testing.T, pool *pgxpool.Pool) map[string]journal.Status {
	t.Helper()
	findings, err := postgres.Diagnose(t.Context(), pool)
	require.NoError(t, err)
	wrong := map[string]journal.Status{}
	for _, f := range findings {
		require.NotEmpty(t, f.Setting)
		if f.Status != journal.OK {
			require.NotEmpty(t, f.Advice)
			wrong[f.Setting] = f.Status
		}
	}
	return wrong
}

func TestDiagnose(t *testing.T) {
	wrong := found(t, poolOf(t))
	delete(wrong, "data_checksums") // as the version has it
	require.Equal(t, map[string]journal.Status{"fsync": journal.Risk, "synchronous_standby_names": journal.Risk}, wrong)
	plain, err := pgxpool.New(t.Context(), server(t).URL())
	require.NoError(t, err)
	t.Cleanup(plain.Close)
	require.Equal(t, journal.Broken, found(t, plain)["pool"])
}

func TestDiagnoseAStandby(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs two servers")
	}
	s := postgrestest.Start(t, "fsync=off", "full_page_writes=off", "autovacuum=off", "track_counts=off",
		"ignore_checksum_failure=on", "zero_damaged_pages=on", "synchronous_commit=off")
	wrong := found(t, poolAt(t, s.Standby(t, "b").URL()))
	delete(wrong, "data_checksums")
	require.Equal(t, map[string]journal.Status{
		"in_recovery": journal.Broken, "fsync": journal.Risk, "synchronous_standby_names": journal.Risk,
		"full_page_writes": journal.Risk, "autovacuum": journal.Risk, "track_counts": journal.Risk,
		"ignore_checksum_failure": journal.Risk, "zero_damaged_pages": journal.Risk,
	}, wrong)
}
