package secagg_test

import (
	"testing"

	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// anySum lists tests that hold for every sum of a batch.
var anySum = map[string]func(*testing.T){
	"dropouts":                   func(t *testing.T) { testDropouts(t, 4, 5) },
	"minimum of survivors":       TestMinimumSurvivors,
	"survivors split":            TestCoordinatorSplitsSurvivors,
	"certificate too small":      TestCertificateTooSmall,
	"certificate foreign signer": TestCertificateForeignSigner,
	"both seeds":                 TestBothSeedsRefused,
	"unmask items":               TestUnmaskItems,
	"unmask answered once":       TestUnmaskAnsweredOnce,
	"step locked":                TestStepLockedToSurvivors,
	"new run locked":             TestNewRunSamePlanLocked,
	"two runs":                   TestTwoRunsAtOnce,
	"survivors required":         TestServerRequiresSurvivors,
	"unlock with blame":          TestUnlockOnlyWithBlame,
	"blame sum":                  TestBlameSum,
	"blame share":                TestBlameShare,
	"blame dealing":              TestBlameDealing,
	"blame equivocation":         TestBlameEquivocation,
	"equivocating dealer":        TestEquivocatingDealerNamesNoHolder,
	"false sum":                  TestFalseSumCaught,
	"false openings":             TestFalseOpenings,
	"verify round":               TestVerifyRound,
}

// firstSum lists tests of the set-up, and of the first sum where later ones have
// a test of their own.
var firstSum = map[string]func(*testing.T){
	"key swapped":               TestCoordinatorSwapsKey,
	"roster sybil":              TestRosterSybil,
	"duplicate keys":            TestDuplicateKeys,
	"threshold lowered":         TestCoordinatorLowersThreshold,
	"transcript split":          TestCoordinatorSplitsTranscript,
	"two models":                TestCoordinatorShowsTwoModels,
	"followers":                 TestFollowersNeedCheckers,
	"step not derived":          TestStepNotDerived,
	"blame bundle":              TestBlameBundle,
	"false complaint":           TestBlameFalseComplaint,
	"complaint does not unlock": TestFalseComplaintDoesNotUnlock,
	"complaint reveals":         TestComplaintRevealsOnlyDealer,
	"dispute":                   TestDisputeNamesNobody,
	"bundle replayed":           TestBundleReplayedAcrossDealers,
	"bundle altered":            TestBundleAltered,
	"one vector":                TestSeedsCoverOneVector,
	"late upload":               TestLateUploadRefused,
	"new run, later step":       TestNewRunLaterStepLocked,
	"replayed spec":             TestReplayedSpec,
	"replayed share":            TestReplayedShare,
	"partial upload":            TestPartialUploadNotSummed,
	"survivors before upload":   TestSurvivorsBeforeUpload,
	"range":                     TestSumOutOfRange,
	"rounding":                  TestRounding,
	"restart":                   TestRestartEachPhase,
}

// tested returns of a holder's shares those from the sum under test on.
func tested(shares [][32]byte) [][32]byte {
	if secaggtest.Lead {
		return shares[len(shares)/int(secaggtest.Sums):]
	}
	return shares
}

// S37–S39: what holds for a batch of one sum holds for the first and for the
// second sum of a batch of three.
func TestSuiteOverBatches(t *testing.T) {
	unlessShort(t)
	secaggtest.Sums = 3
	t.Cleanup(func() { secaggtest.Sums, secaggtest.Lead = 1, false })
	for name, test := range firstSum {
		t.Run(name, test)
	}
	for name, test := range anySum {
		t.Run(name+" in the first sum", test)
	}
	secaggtest.Lead = true
	for name, test := range anySum {
		t.Run(name+" in the second sum", test)
	}
}

// unlessShort skips what plays hundreds of rounds when tests run short, as they do under the race detector: the machines
// of this package start no goroutines.
func unlessShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("many rounds of machines that start no goroutines")
	}
}
