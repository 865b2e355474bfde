package secagg_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/hpkeseal"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

const frozenFile = "testdata/transcript.json"

// frozen is a batch of four members of which one leaves before Mask, as
// docs/transcript.md tells it. Values and frames are kept in the order in which
// they come up.
type frozen struct {
	Inputs  inputs
	Values  map[string]hexBytes
	Packets []frozenPacket
	Frames  map[string]hexBytes
}

// frozenPacket is one packet from a member to the coordinator or back, frames by name.
type frozenPacket struct {
	From   *uint8   `json:"from,omitempty"`
	To     *uint8   `json:"to,omitempty"`
	Frames []string `json:"frames"`
}

func readFrozen(t *testing.T) (g frozen, text []byte) {
	t.Helper()
	text, err := os.ReadFile(frozenFile)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &g))
	return g, text
}

// encapsulations are the one thing in the bundles that does not follow from the inputs (S15).
func (g frozen) encapsulations() map[string]hexBytes {
	enc := map[string]hexBytes{}
	for name, frame := range g.Frames {
		if pair, ok := strings.CutPrefix(name, "bundle "); ok {
			enc[pair] = frame[7 : 7+1120]
		}
	}
	return enc
}

// S13, S15, S18–S22: with ρ, signatures and encapsulations fixed, the machines
// of this package send exactly the packets of the file.
func TestTranscriptPlayed(t *testing.T) {
	var g frozen
	if _, err := os.Stat(frozenFile); err == nil || !*update { // an update keeps the encapsulations of a file that is there
		g, _ = readFrozen(t)
	}
	enc := g.encapsulations()
	r, packets := playTranscript(t, enc)
	require.Equal(t, string(encodeFrozen(r, packets)), string(encodeFrozen(playTranscript(t, enc)))) // the same inputs give the same bytes
	if *update {
		require.NoError(t, os.WriteFile(frozenFile, encodeFrozen(r, packets), 0o644))
	}
	_, text := readFrozen(t)
	require.Equal(t, string(text), string(encodeFrozen(r, packets)))
}

// S1–S4, S13–S23, S28, S31, S53: everything in the file, frames and
// values on the way, follows from its inputs and the encapsulations by an
// implementation that shares no code with the package.
func TestTranscriptFollowsFromInputs(t *testing.T) {
	g, text := readFrozen(t)
	r := newReference(g.Inputs, g.encapsulations())
	require.Equal(t, string(text), string(encodeFrozen(r, g.Packets)))
	plain := make([]uint64, len(r.sum))
	for _, m := range g.Inputs.Members {
		if m.Vector != nil {
			ring.Add(plain, refWords(m.Vector))
		}
	}
	require.Equal(t, plain, r.sum)

	// It can fail: another ρ of one member changes every digest after h1's inputs.
	g.Inputs.Members[0].Rho[31] ^= 1
	other := newReference(g.Inputs, g.encapsulations())
	require.NotEqual(t, r.values["h1"], other.values["h1"])
	require.Equal(t, r.values["d_spec"], other.values["d_spec"])
}

// playTranscript runs the batch with the encapsulations given, makes those that are
// missing, and holds every frame sent to the reference.
func playTranscript(t *testing.T, enc map[string]hexBytes) (*reference, []frozenPacket) {
	keys := map[string][]byte{}
	o := secaggtest.Options{Members: []uint8{2, 3, 7, 200}, Seed: 42, Round: 9, Run: [16]byte{1, 2, 3}}
	o.Seal = func(uint8) secagg.Seal {
		return func(pk, info []byte) ([]byte, []byte, error) {
			pair := fmt.Sprintf("%d-%d", info[len(info)-2], info[len(info)-1])
			if enc[pair] == nil {
				e, key, err := hpkeseal.Seal(pk, info)
				enc[pair], keys[pair] = e, key
				return e, bytes.Clone(key), err
			}
			return enc[pair], bytes.Clone(keys[pair]), nil
		}
	}
	b := secaggtest.New(t, o)
	in := frozenInputs(b)
	if len(enc) > 0 { // the keys follow, but only once h1 is known: the reference knows it
		for name, value := range newReference(in, enc).values {
			if pair, ok := strings.CutPrefix(name, "bundle key "); ok {
				keys[pair] = value
			}
		}
	}
	type wire struct {
		from, to *uint8
		frames   []secagg.Frame
	}
	var sent []wire
	b.ToNode = func(to uint8, p []secagg.Frame) []secagg.Frame {
		sent = append(sent, wire{to: &to, frames: p})
		return p
	}
	b.ToCoord = func(from uint8, p []secagg.Frame) []secagg.Frame {
		sent = append(sent, wire{from: &from, frames: p})
		return p
	}
	require.NoError(t, b.Run(map[uint8]secagg.Phase{3: secagg.PhaseMask}))
	require.Equal(t, b.Plain(secagg.SetOf(2, 7, 200)), b.Result)

	r := newReference(in, enc)
	require.Equal(t, b.Result, r.sum)
	names := map[string]string{}
	for _, f := range r.frames {
		names[string(f.Data)] = f.Name
	}
	var packets []frozenPacket
	used := map[string]bool{}
	for _, w := range sent {
		p := frozenPacket{From: w.from, To: w.to}
		for _, f := range w.frames {
			raw, err := f.MarshalBinary()
			require.NoError(t, err)
			name, ok := names[string(raw)]
			require.True(t, ok, "%s of %d is not the reference's", f.Type, f.Sender)
			p.Frames, used[name] = append(p.Frames, name), true
		}
		packets = append(packets, p)
	}
	require.Len(t, used, len(r.frames)) // the reference makes no frame that was not sent
	return r, packets
}

// frozenInputs reads what the batch was made with.
func frozenInputs(b *secaggtest.Batch) inputs {
	h := func(d [32]byte) hexBytes { return d[:] }
	s, spec := b.Opt.Sum, b.Server.Spec()
	in := inputs{
		Federation: h(spec.Federation), Roster: h(spec.Roster), Plan: h(spec.Plan), Run: spec.Run[:], Round: spec.Round, Nonce: h(spec.Nonce),
		Deadlines: spec.Deadlines, Number: b.Configs[2].Number, NextState: h(secaggtest.Digest("next state")), NextModel: h(secaggtest.Digest("next model")),
		Coordinator: b.Keys[0].Seed(),
		Sum: sumInputs{
			Kind: s.Kind, Step: s.Step, Query: h(s.Query), State: h(s.State), Model: h(s.Model), Params: s.Params, Lanes: s.Lanes, Bits: s.Bits,
			ClipL2: s.ClipL2, ClipInf: s.ClipInf, WeightCap: s.WeightCap, WeightBits: s.WeightBits, MinRows: s.MinRows, Ints: s.Ints, IntMax: s.IntMax,
		},
	}
	for _, i := range b.Opt.Members {
		m := memberInput{Index: i, Identity: b.Keys[i].Seed(), Rho: h(b.Configs[i].Rho)}
		if i != 3 {
			m.Vector = ring.AppendLE(nil, b.Opt.Vector(i, s.Layout()))
		}
		in.Members = append(in.Members, m)
	}
	return in
}

// encodeFrozen writes the file: inputs, then one line for each value, packet and frame.
func encodeFrozen(r *reference, packets []frozenPacket) []byte {
	must := func(v any, indent string) string {
		b, err := json.MarshalIndent(v, "  ", indent)
		if err != nil {
			panic(err)
		}
		if indent == "" {
			return strings.Join(strings.Fields(string(b)), " ")
		}
		return string(b)
	}
	var values, sent, frames []string
	for _, name := range r.names {
		values = append(values, fmt.Sprintf("    %q: \"%x\"", name, []byte(r.values[name])))
	}
	for _, p := range packets {
		sent = append(sent, "    "+must(p, ""))
	}
	for _, f := range r.frames {
		frames = append(frames, fmt.Sprintf("    %q: \"%x\"", f.Name, []byte(f.Data)))
	}
	return fmt.Appendf(nil, "{\n  \"inputs\": %s,\n  \"values\": {\n%s\n  },\n  \"packets\": [\n%s\n  ],\n  \"frames\": {\n%s\n  }\n}\n",
		must(r.in, "  "), strings.Join(values, ",\n"), strings.Join(sent, ",\n"), strings.Join(frames, ",\n"))
}
