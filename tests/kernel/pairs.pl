# HTTP::Tiny of Perl. usage: pairs.pl tiny BASE WORDS... (as http_programs.py)

use strict;
use warnings;
use HTTP::Tiny;

my (undef, $base, @words) = @ARGV;
my $client = HTTP::Tiny->new;
my %sent = ('+' => 'POST', '=' => 'PUT', '~' => 'POST');

for my $word (@words) {
    my ($how, $size, $path) = $word =~ /^([+=~])(\d+) (.*)/;
    if (!$how) {
        $client->get($base . $word);
        next;
    }
    my @pieces = ('b' x 1000) x ($size / 1000);
    my $content = $how eq '~' ? sub { shift @pieces } : 'b' x $size;
    $client->request($sent{$how}, $base . $path, { content => $content });
}
