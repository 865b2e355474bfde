package link

import (
	"bytes"
	"slices"
	"sync"
)

// Capture keeps copies of everything that crosses a link, as the bytes above TLS: what an eavesdropper with the keys
// of the connection would see. Give its Record and Received to Config. The zero value is empty and ready.
type Capture struct {
	mu   sync.Mutex
	sent []Message
	got  []Message
}

// Record keeps a message that leaves; it never refuses.
func (c *Capture) Record(m Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, m.clone())
	return nil
}

// Received keeps a message that arrives.
func (c *Capture) Received(m Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, m.clone())
}

// Sent returns every message that left, in order.
func (c *Capture) Sent() []Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sent)
}

// Got returns every message that arrived, in order.
func (c *Capture) Got() []Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

// Find returns the messages that left and hold these bytes.
func (c *Capture) Find(b []byte) []Message {
	return slices.DeleteFunc(c.Sent(), func(m Message) bool { return !bytes.Contains(m.Bytes, b) })
}

func (m Message) clone() Message {
	m.Bytes, m.Run = bytes.Clone(m.Bytes), bytes.Clone(m.Run)
	return m
}
