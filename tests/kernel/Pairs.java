// HttpClient of Java. usage: Pairs.java 1.1|offers-2 BASE WORDS... (as http_programs.py)

import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class Pairs {
    public static void main(String[] words) throws Exception {
        var is1 = words[0].equals("1.1");
        var version = is1 ? HttpClient.Version.HTTP_1_1 : HttpClient.Version.HTTP_2;
        var client = HttpClient.newBuilder().version(version).build();
        for (int at = 2; at < words.length; at++) {
            client.send(parse(words[1], words[at]), HttpResponse.BodyHandlers.ofByteArray());
        }
        System.exit(0);
    }

    static HttpRequest parse(String base, String word) {
        if (word.startsWith("/")) {
            return HttpRequest.newBuilder(URI.create(base + word)).build();
        }
        var parts = word.substring(1).split(" ");
        var body = new byte[Integer.parseInt(parts[0])];
        var sent = word.startsWith("~")
            ? HttpRequest.BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body))
            : HttpRequest.BodyPublishers.ofByteArray(body);
        var method = word.startsWith("=") ? "PUT" : "POST";
        return HttpRequest.newBuilder(URI.create(base + parts[1])).method(method, sent).build();
    }
}
