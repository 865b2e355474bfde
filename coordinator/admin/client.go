package admin

import (
	"errors"
	"fmt"
	"io"

	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/identity"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// Client is an admin's connection to the coordinator.
type Client struct {
	pb.AdminClient
	io.Closer
}

// Dial prepares a connection to the coordinator at address, host:port, with an admin's credentials. Nothing is sent
// before the first call.
func Dial(address, name string, c *identity.Credentials) (*Client, error) {
	root, err := c.Root()
	if err != nil {
		return nil, err
	}
	trust := &identity.Trust{Federation: name, Root: root}
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(credentials.NewTLS(identity.ClientConfig(trust, identity.NewSource(c)))),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(pb.MaxMessageBytes)))
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	return &Client{AdminClient: pb.NewAdminClient(conn), Closer: conn}, nil
}

// ErrUnreachable means that no coordinator answered.
var ErrUnreachable = errors.New("coordinator does not answer")

// Plain turns what a call returned into an error with the coordinator's words alone.
func Plain(err error) error {
	s, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	if s.Code() == codes.Unavailable || s.Code() == codes.DeadlineExceeded {
		return fmt.Errorf("%w: %s", ErrUnreachable, s.Message())
	}
	return errors.New(s.Message())
}
