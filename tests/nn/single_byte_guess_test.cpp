#include <qing/nn/data/single_byte_guess.h>

#include <gtest/gtest.h>
#include <iconv.h>

#include <string>
#include <vector>

#include <qing/nn/data/text_encoding.h>

namespace qing::nn {
namespace {

std::string encoded(std::string text, const char* encoding) {
  std::string out(text.size() * 2, '\0');
  char *from = text.data(), *to = out.data();
  size_t left_in = text.size(), left_out = out.size();
  const iconv_t converter = iconv_open(encoding, "UTF-8");
  EXPECT_NE(iconv(converter, &from, &left_in, &to, &left_out), size_t(-1)) << text << " in " << encoding;
  iconv_close(converter);
  out.resize(out.size() - left_out);
  return out;
}

// Each text as a file of its own, and as a row of a table.
void expect_guess(const char* encoding, const char* guess, const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    EXPECT_EQ(guess_encoding(encoded(text + "\n", encoding)), guess) << text;
    EXPECT_EQ(guess_encoding(encoded("label,text\npositive,\"" + text + "\"\n", encoding)), guess) << text;
  }
}

TEST(SingleByteGuess, KnowsTheLettersOfCentralEurope) {
  expect_guess("CP1250", "CP1250",
               {"Film był świetny, gorąco polecam każdemu.", "Że też nikt tego nie sprawdził?", "żółty", "Ładny",
                "Żółć, jaźń i źdźbło", "Jeść się nie da, a kelner był nieuprzejmy."});
  expect_guess("CP1250", "CP1250",
               {"Příliš žluťoučký kůň úpěl ďábelské ódy", "Jídlo nám vůbec nechutnalo, už sem nepůjdeme."});
  expect_guess("CP1250", "CP1250", {"A film nagyszerű volt, ajánlom.", "hűtő nélkül használhatatlan"});
  expect_guess("CP1250", "CP1250",
               {"Veľmi dobrý film, odporúčam každému.", "Un film foarte bun, îl recomand şi ţie, dacă vrei"});
  expect_guess("CP1254", "CP1254", {"Kitap sıkıcı ve çok uzundu, beğenmedim.", "Hızlı kargo, teşekkürler"});
}

TEST(SingleByteGuess, LeavesWesternEuropeAsItWas) {
  expect_guess("CP1252", "CP1252", {"sehr schön, größer als gewöhnlich", "öde", "50 m² für 80 € – naja."});
  expect_guess("CP1252", "CP1252", {"Le film était génial, à voir", "à éviter", "Un chef-d’œuvre, ma sœur l’adore"});
  expect_guess("CP1252", "CP1252",
               {"¿Qué película? ¡No la vean!", "Não gostei, a entrega não chegou", "perché no? Più"});
  expect_guess("CP1252", "CP1252", {"only £5 – great café", "fish & chips £12, “lovely”", "blå øl"});
  expect_guess("CP1252", "CP1252", {"Sehr schön, größer. Très déçu. ¡El niño! Não gostei"});
  // The bytes are letters of both, and the same ones.
  expect_guess("CP1250", "CP1252", {"Výborná obsluha", "A könyv unalmas és túl hosszú"});
}

TEST(SingleByteGuess, KnowsCyrillicAndGreek) {
  const std::vector<std::string> texts = {"Отличный фильм, всем советую посмотреть.", "Книга скучная и слишком длинная",
                                          "ПРИВЕТ, ЭТО БЫЛО УЖАСНО", "хорошая игра"};
  expect_guess("CP1251", "CP1251", texts);
  expect_guess("KOI8-R", "KOI8-R", texts);
  expect_guess("CP1251", "CP1251", {"«Отлично» — сказал он. Хорошая игра, №1!", "Книга нудна, її не варто читати"});
  expect_guess("CP1253", "CP1253", {"Εξαιρετική ταινία, τη συνιστώ σε όλους."});
  expect_guess("CP1251", "UTF-8", {"да"});  // too few to tell: the row is refused
}

TEST(SingleByteGuess, LeavesChineseAsItWas) {
  expect_guess("GB18030", "GB18030",
               {"好", "垃圾", "很好看", "推荐", "性价比高", "T恤质量不错", "A好B", "我买了iPhone 15，very nice！",
                "味道一般，价格偏贵，不会再来了。", "手机很卡，电池不耐用；客服爱答不理……"});
  std::string many;
  for (int i = 0; i < 50; ++i) many += "这个电影太差了，浪费时间。服务态度恶劣\n";
  EXPECT_EQ(guess_encoding(encoded(many, "GB18030")), "GB18030");
}

}  // namespace
}  // namespace qing::nn
