package secagg

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Generators of messages with every field free within what S2 and S18 allow.

func genHash(r *rapid.T, name string) [32]byte {
	return [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(r, name))
}

func genHashes(r *rapid.T, name string, most int) [][32]byte {
	h := make([][32]byte, rapid.IntRange(0, most).Draw(r, name+" count"))
	for i := range h {
		h[i] = genHash(r, name)
	}
	return h
}

func genSet(r *rapid.T, name string) Set {
	s := Set(genHash(r, name))
	s[0] &^= 1
	return s
}

// genClip is any double but those that could be written in two ways.
func genClip(r *rapid.T, name string) float64 {
	return rapid.Float64().Filter(func(f float64) bool {
		return !math.IsNaN(f) && !math.IsInf(f, 0) && (f != 0 || !math.Signbit(f))
	}).Draw(r, name)
}

func genSecret(r *rapid.T, name string) secretID {
	a, b := rapid.Uint8Range(1, 255).Draw(r, name+" a"), rapid.Uint8Range(1, 255).Draw(r, name+" b")
	if a == b {
		return selfID(a)
	}
	return pairID(a, b)
}

// genSecrets returns distinct secrets in the order of messages 51 and 61.
func genSecrets(r *rapid.T) []secretID {
	list := rapid.SliceOfNDistinct(rapid.Custom(func(r *rapid.T) secretID { return genSecret(r, "secret") }), 0, 6, rapid.ID[secretID]).Draw(r, "secrets")
	slices.SortFunc(list, func(a, b secretID) int {
		if a.less(b) {
			return -1
		}
		return 1
	})
	return list
}

func genRow(r *rapid.T) row {
	return row{
		other: rapid.Uint8().Draw(r, "other"), pairRoot: genHash(r, "pair root"), shareRoot: genHash(r, "share root"),
		bundle: genHash(r, "bundle"), path: genHashes(r, "path", maxDepth),
	}
}

type message interface{ body() []byte }

// messages makes one of every type.
var messages = map[Type]func(r *rapid.T) message{
	TypeSpec: func(r *rapid.T) message {
		s := Spec{
			Federation: genHash(r, "federation"), Roster: genHash(r, "roster"), Plan: genHash(r, "plan"), Run: [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(r, "run")),
			Round: rapid.Uint32().Draw(r, "round"), Nonce: genHash(r, "nonce"), Cohort: genSet(r, "cohort"), N: rapid.Uint8().Draw(r, "n"), T: rapid.Uint8().Draw(r, "t"),
			Sums: rapid.Uint16().Draw(r, "sums"), First: genHash(r, "first"),
		}
		for i := range s.Deadlines {
			s.Deadlines[i] = rapid.Uint32().Draw(r, "deadline")
		}
		return s
	},
	TypeSum: func(r *rapid.T) message {
		return Sum{
			Run: [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(r, "run")), Round: rapid.Uint32().Draw(r, "round"), K: rapid.Uint16().Draw(r, "k"),
			Kind: rapid.Uint8().Draw(r, "kind"), Step: rapid.Uint32().Draw(r, "step"), Query: genHash(r, "query"), State: genHash(r, "state"), Model: genHash(r, "model"),
			Params: rapid.Uint32().Draw(r, "params"), Lanes: rapid.Uint8().Draw(r, "lanes"), Bits: rapid.Uint8().Draw(r, "bits"),
			ClipL2: genClip(r, "l2"), ClipInf: genClip(r, "inf"), WeightCap: rapid.Uint32().Draw(r, "cap"), WeightBits: rapid.Uint8().Draw(r, "weight bits"),
			MinRows: rapid.Uint32().Draw(r, "rows"), Ints: rapid.Uint32().Draw(r, "ints"), IntMax: rapid.Uint64().Draw(r, "int max"),
			Members: genSet(r, "members"), Prev: genHash(r, "prev"),
		}
	},
	TypeAdvert: func(r *rapid.T) message {
		m := advert{spec: genHash(r, "spec"), follow: rapid.Bool().Draw(r, "follow"), nonce: genHash(r, "nonce")}
		copy(m.pk[:], rapid.SliceOfN(rapid.Byte(), publicKeySize, publicKeySize).Draw(r, "pk"))
		return m
	},
	TypeReveal: func(r *rapid.T) message {
		return reveal{h1: genHash(r, "h1"), draw: genHash(r, "draw")}
	},
	TypeShare: func(r *rapid.T) message {
		return share{h1: genHash(r, "h1"), selfRoot: genHash(r, "self root"), rowRoot: genHash(r, "row root")}
	},
	TypeRow: func(r *rapid.T) message { return genRow(r) },
	TypeBundle: func(r *rapid.T) message {
		m := bundle{ct: rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(r, "ct")}
		copy(m.enc[:], rapid.SliceOfN(rapid.Byte(), encSize, encSize).Draw(r, "enc"))
		return m
	},
	TypeLeaves: func(r *rapid.T) message { return leaves{hashes: append(genHashes(r, "leaves", 4), genHash(r, "leaf"))} },
	TypeMask: func(r *rapid.T) message {
		return mask{k: rapid.Uint16().Draw(r, "k"), g: genHash(r, "g"), root: genHash(r, "root"), words: rapid.Uint32().Draw(r, "words")}
	},
	TypeHashes: func(r *rapid.T) message { return chunkHashes{hashes: genHashes(r, "hashes", 5)} },
	TypeChunk: func(r *rapid.T) message {
		n := 8 * rapid.IntRange(1, 9).Draw(r, "words")
		return chunk{k: rapid.Uint16().Draw(r, "k"), index: rapid.Uint32().Draw(r, "index"), data: rapid.SliceOfN(rapid.Byte(), n, n).Draw(r, "data")}
	},
	TypeSurvivors: func(r *rapid.T) message {
		return survivors{k: rapid.Uint16().Draw(r, "k"), set: genSet(r, "set"), blame: genHashes(r, "blame", 4)}
	},
	TypeAgree: func(r *rapid.T) message {
		return agree{k: rapid.Uint16().Draw(r, "k"), g: genHash(r, "g"), h3: genHash(r, "h3")}
	},
	TypeCertificate: func(r *rapid.T) message {
		m := certificate{k: rapid.Uint16().Draw(r, "k")}
		members := rapid.SliceOfNDistinct(rapid.Uint8Range(1, 255), 0, 4, rapid.ID[uint8]).Draw(r, "members")
		slices.Sort(members)
		for _, i := range members {
			m.signs = append(m.signs, agreement{member: i, signature: [64]byte(rapid.SliceOfN(rapid.Byte(), 64, 64).Draw(r, "signature"))})
		}
		return m
	},
	TypeUnmask: func(r *rapid.T) message {
		m := unmask{k: rapid.Uint16().Draw(r, "k"), h3: genHash(r, "h3")}
		for _, s := range genSecrets(r) {
			m.items = append(m.items, unmaskItem{secret: s, share: genHash(r, "share"), path: genHashes(r, "path", maxShareDepth)})
		}
		return m
	},
	TypeResult: func(r *rapid.T) message {
		return result{
			k: rapid.Uint16().Draw(r, "k"), h3: genHash(r, "h3"), sumRoot: genHash(r, "sum root"), words: rapid.Uint32().Draw(r, "words"),
			state: genHash(r, "state"), model: genHash(r, "model"), openingsRoot: genHash(r, "openings root"),
		}
	},
	TypeOpenings: func(r *rapid.T) message {
		var m openings
		for _, s := range genSecrets(r) {
			o := opening{secret: s, seed: genHash(r, "seed"), path: genHashes(r, "path", maxSumDepth)}
			if s.kind == kindPair {
				o.row = genRow(r)
			}
			m.list = append(m.list, o)
		}
		return m
	},
	TypeComplaint: func(r *rapid.T) message {
		return complaint{dealer: rapid.Uint8().Draw(r, "dealer"), reason: rapid.Uint8().Draw(r, "reason"), key: genHash(r, "key")}
	},
	TypeDispute: func(r *rapid.T) message {
		return dispute{dealer: rapid.Uint8().Draw(r, "dealer"), reason: rapid.Uint8().Draw(r, "reason")}
	},
	TypeAbort: func(r *rapid.T) message {
		return abort{k: rapid.Uint16().Draw(r, "k"), reason: rapid.Uint8().Draw(r, "reason"), evidence: genHash(r, "evidence")}
	},
}

// decoders read a body as the message it is.
var decoders = map[Type]func([]byte) (message, error){
	TypeSpec: decoder(ParseSpec), TypeSum: decoder(ParseSum), TypeAdvert: decoder(parseAdvert), TypeReveal: decoder(parseReveal), TypeShare: decoder(parseShare), TypeRow: decoder(parseRow),
	TypeBundle: decoder(parseBundle), TypeLeaves: decoder(parseLeaves), TypeMask: decoder(parseMask), TypeHashes: decoder(parseHashes), TypeChunk: decoder(parseChunk),
	TypeSurvivors: decoder(parseSurvivors), TypeAgree: decoder(parseAgree), TypeCertificate: decoder(parseCertificate), TypeUnmask: decoder(parseUnmask),
	TypeResult: decoder(parseResult), TypeOpenings: decoder(parseOpenings), TypeComplaint: decoder(parseComplaint), TypeDispute: decoder(parseDispute), TypeAbort: decoder(parseAbort),
}

func decoder[M message](parse func([]byte) (M, error)) func([]byte) (message, error) {
	return func(b []byte) (message, error) { return parse(b) }
}

// S18: for every type, decoding what was encoded gives the message back, and
// encoding it again the same bytes, alone and inside a frame.
func TestCodecsRoundTrip(t *testing.T) {
	for typ := range kinds {
		if typ == TypeEvidence { // a list of frames, read by CheckEvidence
			continue
		}
		require.Contains(t, messages, typ)
		t.Run(typ.String(), func(t *testing.T) {
			rapid.Check(t, func(r *rapid.T) {
				m := messages[typ](r)
				got, err := decoders[typ](m.body())
				require.NoError(r, err)
				require.Equal(r, m, got)
				require.Equal(r, m.body(), got.body())
				f := frameOf(typ, m.body())
				b, err := f.MarshalBinary()
				require.NoError(r, err)
				again, err := ParseFrame(b)
				require.NoError(r, err)
				require.Equal(r, f, again)
			})
		})
	}
}

// S18: a body with any byte changed, dropped, doubled or inserted is refused or
// is the encoding of what it decodes to: no message has two encodings.
func TestCodecsHaveOneEncoding(t *testing.T) {
	for typ := range messages {
		t.Run(typ.String(), func(t *testing.T) {
			rapid.Check(t, func(r *rapid.T) {
				body := slices.Clone(messages[typ](r).body())
				at := rapid.IntRange(0, max(0, len(body)-1)).Draw(r, "at")
				switch rapid.IntRange(0, 3).Draw(r, "how") {
				case 0:
					if len(body) > 0 {
						body[at] ^= rapid.ByteRange(1, 255).Draw(r, "change")
					}
				case 1:
					if len(body) > 0 {
						body = slices.Delete(body, at, at+1)
					}
				case 2:
					body = slices.Insert(body, at, rapid.Byte().Draw(r, "byte"))
				case 3:
					body = append(body, rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(r, "tail")...)
				}
				if m, err := decoders[typ](body); err == nil {
					require.True(r, slices.Equal(body, m.body()))
				}
			})
		})
	}
}
