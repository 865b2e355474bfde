package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type grammar struct {
	Show showCommand `cmd:"" help:"Show a thing."`
	Fail failCommand `cmd:"" help:"Fail in a chosen way."`
	Data string      `help:"Data directory." default:"here"`
}

type showCommand struct {
	Name string `arg:"" help:"What to show."`
	JSON bool   `name:"json" help:"Print JSON."`
}

func (showCommand) Help() string {
	return "Shows what is known of one thing.\n\nExample:\n\n  koinon-test show DE --json"
}

func (c *showCommand) Run(ctx context.Context, std Streams, g *grammar, extra fmt.Stringer) error {
	if c.JSON {
		return PrintJSON(std.Out, map[string]string{"name": c.Name, "extra": extra.String(), "data": g.Data})
	}
	_, err := fmt.Fprintln(std.Out, c.Name)
	return errors.Join(err, ctx.Err())
}

type failCommand struct {
	How string `enum:"plain,hint,usage,panic,interrupt" default:"plain" help:"How (${enum})."`
}

func (c *failCommand) Run(context.Context) error {
	err := errors.New("plan abc is not approved")
	switch c.How {
	case "hint":
		return fmt.Errorf("start run: %w", Hint(Hint(err, "inner"), "approve it with %q", "koinon-node plan approve abc"))
	case "usage":
		return Hint(Usagef("--from is after --to"), "swap them")
	case "panic":
		panic("fault of the program")
	case "interrupt":
		return fmt.Errorf("read: %w", context.Canceled)
	}
	return err
}

func run(t *testing.T, ctx context.Context, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	g := &grammar{}
	code = Run(ctx, Streams{Out: &o, Err: &e}, args, "koinon-test", "1.2.3", g,
		Description("Tests."), Bind(g), BindAs[fmt.Stringer](bytes.NewBufferString("bound")))
	return code, o.String(), e.String()
}

func TestExitCodesAndStreams(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		out  string
		err  string
	}{
		"ok":           {[]string{"show", "DE"}, 0, "DE\n", ""},
		"json":         {[]string{"show", "<DE>", "--json"}, 0, "{\n  \"data\": \"here\",\n  \"extra\": \"bound\",\n  \"name\": \"<DE>\"\n}\n", ""},
		"version":      {[]string{"--version"}, 0, "koinon-test 1.2.3\n", ""},
		"failed":       {[]string{"fail"}, 1, "", "error: plan abc is not approved\n"},
		"hint":         {[]string{"fail", "--how=hint"}, 1, "", "error: start run: plan abc is not approved\nhint: approve it with \"koinon-node plan approve abc\"\n"},
		"own usage":    {[]string{"fail", "--how=usage"}, 2, "", "error: --from is after --to\nhint: swap them\n"},
		"no command":   {nil, 2, "", "error: expected one of \"show\", \"fail\"\nhint: run \"koinon-test --help\" to see what it takes\n"},
		"bad enum":     {[]string{"fail", "--how=x"}, 2, "", "error: --how must be one of \"plain\",\"hint\",\"usage\",\"panic\",\"interrupt\" but got \"x\"\nhint: run \"koinon-test fail --help\" to see what it takes\n"},
		"unknown flag": {[]string{"show", "DE", "--nope"}, 2, "", "error: unknown flag --nope\nhint: run \"koinon-test show --help\" to see what it takes\n"},
		"missing arg":  {[]string{"show"}, 2, "", "error: expected \"<name>\"\nhint: run \"koinon-test show --help\" to see what it takes\n"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := run(t, t.Context(), c.args...)
			require.Equal(t, c.code, code)
			require.Equal(t, c.out, out)
			require.Equal(t, c.err, errs)
		})
	}
}

func TestInterruptIsSaidInOneWord(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, _, errs := run(t, ctx, "fail", "--how=interrupt")
	require.Equal(t, ExitFailed, code)
	require.Equal(t, "error: interrupted\n", errs)
}

func TestFaultsOfTheProgramPanic(t *testing.T) {
	require.PanicsWithValue(t, "fault of the program", func() { run(t, t.Context(), "fail", "--how=panic") })
	require.Panics(t, func() {
		Run(t.Context(), Streams{Out: io.Discard, Err: io.Discard}, nil, "x", "1", "not a grammar")
	})
}

func TestHelpShowsTheExample(t *testing.T) {
	code, out, errs := run(t, t.Context(), "show", "--help")
	require.Zero(t, code)
	require.Empty(t, errs)
	require.Contains(t, out, "koinon-test show DE --json")
	missing, err := WithoutExample("koinon-test", &grammar{})
	require.NoError(t, err)
	require.Equal(t, []string{"fail"}, missing)
}

func TestFlagsComeFromTheEnvironment(t *testing.T) {
	t.Setenv("KOINON_DATA", "there")
	t.Setenv("KOINON_VERSION", "true") // not a flag's variable
	code, out, _ := run(t, t.Context(), "show", "DE", "--json")
	require.Zero(t, code)
	require.Contains(t, out, `"data": "there"`)
	_, out, _ = run(t, t.Context(), "show", "DE", "--json", "--data=flag")
	require.Contains(t, out, `"data": "flag"`, "a flag wins")
}

func TestErrorsKeepTheirShapeAndMeaning(t *testing.T) {
	require.NoError(t, Hint(nil, "x"))
	require.NoError(t, Usage(nil))
	base := errors.New("two\nlines\n")
	require.ErrorIs(t, Hint(Usage(base), "h"), base)
	var b bytes.Buffer
	PrintError(&b, Hint(base, "do\nthis"))
	require.Equal(t, "error: two\n  lines\nhint: do\n  this\n", b.String())
	require.Empty(t, HintOf(base))
}

// Words from outside reach a terminal without what could steer it.
func TestWordsFromOutsideDoNotSteer(t *testing.T) {
	const evil = "a\x1b[2J\u009b\u202eb\x9b\rc"
	var b bytes.Buffer
	PrintError(&b, Hint(errors.New(evil), "%s", evil))
	require.Equal(t, "error: a [2J  b\ufffd c\nhint: a [2J  b\ufffd c\n", b.String())
	b.Reset()
	_, err := Printf(&b, "%s|%s|%d|%v\n", "x\ny\x1b", errors.New("e\u2066"), 7, []string{"\x07l"})
	require.NoError(t, err)
	require.Equal(t, "x y |e |7|[ l]\n", b.String())
	b.Reset()
	value := map[string]any{"v": "\x7f\u0085\u009b\u202e<é", "raw": json.RawMessage("\"\x9b\u0080\"")}
	require.NoError(t, PrintJSON(&b, value))
	require.Equal(t, "{\n  \"raw\": \"\ufffd\\u0080\",\n  \"v\": \"\\u007f\\u0085\\u009b\u202e<é\"\n}\n", b.String())
	var back map[string]string
	require.NoError(t, json.Unmarshal(b.Bytes(), &back))
	require.Equal(t, value["v"], back["v"])
}

func TestTable(t *testing.T) {
	table := NewTable("member", "rows", "note")
	table.Row("DE", 12000, "first")
	table.Row("Türkiye\x1b[31m", 7, nil)
	var b bytes.Buffer
	require.NoError(t, table.Print(&b))
	require.Equal(t, ""+
		"member         rows  note\n"+
		"DE            12000  first\n"+
		"Türkiye [31m      7  -\n", b.String())
	require.Equal(t, 2, table.Len())

	b.Reset()
	require.NoError(t, (&Table{}).Print(&b))
	require.Empty(t, b.String())
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1550: "1.6 kB", 999_949: "999.9 kB", 999_950: "1.0 MB",
		2_000_000: "2.0 MB", 5_000_000_000: "5.0 GB", 1 << 62: "4611.7 PB",
	} {
		require.Equal(t, want, Bytes(n))
	}
}

func TestProgressOffTerminalIsPlainLines(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress(&b, "train", "rounds", 60)
	for range 45 {
		p.Add(1)
	}
	require.Empty(t, b.String(), "no line before its time")
	p.last = p.last.Add(-2 * lineEvery)
	p.Set(46)
	require.Equal(t, "train: 46 of 60 rounds (76 %)\n", b.String())
	p.Label("evaluate")
	p.Done()
	p.Done()
	p.Add(1)
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	require.Len(t, lines, 2)
	require.Regexp(t, `^evaluate: 46 of 60 rounds \(76 %\) in \d`, lines[1])
}

func TestByteProgressIsAWriter(t *testing.T) {
	var b bytes.Buffer
	p := NewByteProgress(&b, "pull", 0)
	n, err := io.Copy(p, strings.NewReader(strings.Repeat("x", 2500)))
	require.NoError(t, err)
	require.Equal(t, int64(2500), n)
	p.Done()
	require.Regexp(t, `^pull: 2\.5 kB in `, b.String())
	var none *Progress
	none.Add(1)
	none.Set(1)
	none.Label("x")
	none.Done()
}
