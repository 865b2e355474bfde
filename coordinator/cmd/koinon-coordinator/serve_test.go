package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Four eyes are two as long as both approval keys lie on one machine: serve says so until the folders are moved.
func TestApprovalKeysOnOneMachine(t *testing.T) {
	dir := t.TempDir()
	conf := &config{Admins: []adminEntry{{Name: "anna", Role: "owner"}, {Name: "ben", Role: "privacy"}, {Name: "cleo", Role: "owner"}}}
	require.Empty(t, approvable(dir, conf))
	for _, a := range conf.Admins {
		folder := filepath.Join(dir, adminsDir, a.Name)
		require.NoError(t, os.MkdirAll(folder, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(folder, approvalFile), nil, 0o600))
	}
	require.Equal(t, []string{"owner", "privacy"}, approvable(dir, conf))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, adminsDir, "ben")))
	require.Equal(t, []string{"owner"}, approvable(dir, conf))
}
