"""The countries of the world: capitals, continents, and the cities that people mistake for them.

The 193 members of the United Nations, its two observers (the Vatican, Palestine), Kosovo and
Taiwan. Names are in English, without accents. Where several cities share the functions of a
capital, or the seat of government is elsewhere, each city is accepted; demonstrations name the
first. Continents follow the United Nations' geoscheme, except that Cyprus, a member of the European
Union, is listed under Europe.
"""

from __future__ import annotations

from dataclasses import dataclass

# name | capital(s) | wrong answers
_TABLE = {
    "Africa": """
        Algeria | Algiers | Oran, Tunis, Casablanca
        Angola | Luanda | Lobito, Kinshasa, Maputo
        Benin | Porto-Novo, Cotonou | Lagos, Lome, Accra
        Botswana | Gaborone | Francistown, Harare, Windhoek
        Burkina Faso | Ouagadougou | Bamako, Niamey, Accra
        Burundi | Gitega, Bujumbura | Kigali, Kampala, Lusaka
        Cameroon | Yaounde | Douala, Libreville, Lagos
        Cape Verde | Praia | Mindelo, Dakar, Lisbon
        the Central African Republic | Bangui | Bamako, Yaounde, Kinshasa
        Chad | N'Djamena | Niamey, Khartoum, Bamako
        the Comoros | Moroni | Victoria, Port Louis, Antananarivo
        the Democratic Republic of the Congo | Kinshasa | Brazzaville, Luanda, Lusaka
        Djibouti | Djibouti | Asmara, Mogadishu, Addis Ababa
        Egypt | Cairo | Alexandria, Luxor, Khartoum
        Equatorial Guinea | Malabo, Ciudad de la Paz | Bata, Libreville, Conakry
        Eritrea | Asmara | Addis Ababa, Djibouti, Khartoum
        Eswatini | Mbabane, Lobamba | Maseru, Maputo, Manzini
        Ethiopia | Addis Ababa | Asmara, Nairobi, Mogadishu
        Gabon | Libreville | Malabo, Douala, Brazzaville
        the Gambia | Banjul | Dakar, Bissau, Freetown
        Ghana | Accra | Kumasi, Lome, Lagos
        Guinea | Conakry | Bissau, Freetown, Bamako
        Guinea-Bissau | Bissau | Conakry, Dakar, Banjul
        the Ivory Coast | Yamoussoukro, Abidjan | Accra, Dakar, Monrovia
        Kenya | Nairobi | Mombasa, Kampala, Dodoma
        Lesotho | Maseru | Mbabane, Pretoria, Durban
        Liberia | Monrovia | Freetown, Accra, Conakry
        Libya | Tripoli | Benghazi, Tunis, Cairo
        Madagascar | Antananarivo | Toamasina, Port Louis, Moroni
        Malawi | Lilongwe | Blantyre, Lusaka, Maputo
        Mali | Bamako | Timbuktu, Niamey, Dakar
        Mauritania | Nouakchott | Dakar, Rabat, Bamako
        Mauritius | Port Louis | Victoria, Moroni, Antananarivo
        Morocco | Rabat | Casablanca, Marrakesh, Algiers
        Mozambique | Maputo | Beira, Harare, Luanda
        Namibia | Windhoek | Gaborone, Luanda, Swakopmund
        Niger | Niamey | Bamako, Lagos, Abuja
        Nigeria | Abuja | Lagos, Accra, Niamey
        the Republic of the Congo | Brazzaville | Kinshasa, Libreville, Luanda
        Rwanda | Kigali | Kampala, Gitega, Nairobi
        Sao Tome and Principe | Sao Tome | Malabo, Praia, Libreville
        Senegal | Dakar | Banjul, Bamako, Timbuktu
        Seychelles | Victoria | Port Louis, Moroni, Male
        Sierra Leone | Freetown | Monrovia, Conakry, Banjul
        Somalia | Mogadishu | Djibouti, Nairobi, Hargeisa
        South Africa | Pretoria, Cape Town, Bloemfontein | Johannesburg, Durban, Harare
        South Sudan | Juba | Khartoum, Kampala, Nairobi
        Sudan | Khartoum | Juba, Cairo, Asmara
        Tanzania | Dodoma | Dar es Salaam, Nairobi, Zanzibar
        Togo | Lome | Accra, Cotonou, Lagos
        Tunisia | Tunis | Tripoli, Carthage, Algiers
        Uganda | Kampala | Entebbe, Nairobi, Kigali
        Zambia | Lusaka | Harare, Lilongwe, Ndola
        Zimbabwe | Harare | Bulawayo, Lusaka, Johannesburg
        """,
    "Asia": """
        Afghanistan | Kabul | Kandahar, Islamabad, Tehran
        Armenia | Yerevan | Tbilisi, Baku, Ankara
        Azerbaijan | Baku | Yerevan, Tbilisi, Tehran
        Bahrain | Manama | Doha, Dubai, Kuwait City
        Bangladesh | Dhaka | Chittagong, Kolkata, Kathmandu
        Bhutan | Thimphu | Kathmandu, Lhasa, Paro
        Brunei | Bandar Seri Begawan | Kuala Lumpur, Jakarta, Singapore
        Cambodia | Phnom Penh | Angkor, Vientiane, Bangkok
        China | Beijing | Shanghai, Hong Kong, Tokyo
        Georgia | Tbilisi | Batumi, Yerevan, Atlanta
        India | New Delhi, Delhi | Mumbai, Kolkata, Islamabad
        Indonesia | Jakarta, Nusantara | Bali, Manila, Kuala Lumpur
        Iran | Tehran | Isfahan, Baghdad, Kabul
        Iraq | Baghdad | Basra, Damascus, Tehran
        Israel | Jerusalem, Tel Aviv | Haifa, Amman, Beirut
        Japan | Tokyo | Kyoto, Osaka, Seoul
        Jordan | Amman | Petra, Damascus, Beirut
        Kazakhstan | Astana | Almaty, Tashkent, Bishkek
        Kuwait | Kuwait City | Doha, Manama, Baghdad
        Kyrgyzstan | Bishkek | Almaty, Dushanbe, Osh
        Laos | Vientiane | Hanoi, Phnom Penh, Luang Prabang
        Lebanon | Beirut | Damascus, Amman, Cairo
        Malaysia | Kuala Lumpur, Putrajaya | Singapore, Penang, Jakarta
        the Maldives | Male | Colombo, Victoria, Mumbai
        Mongolia | Ulaanbaatar | Astana, Beijing, Lhasa
        Myanmar | Naypyidaw | Yangon, Mandalay, Bangkok
        Nepal | Kathmandu | Pokhara, Thimphu, Lhasa
        North Korea | Pyongyang | Seoul, Beijing, Hanoi
        Oman | Muscat | Salalah, Dubai, Doha
        Pakistan | Islamabad | Karachi, Lahore, Kabul
        Palestine | Ramallah, East Jerusalem, Jerusalem | Gaza, Amman, Beirut
        the Philippines | Manila | Cebu, Jakarta, Hanoi
        Qatar | Doha | Dubai, Manama, Muscat
        Saudi Arabia | Riyadh | Mecca, Jeddah, Dubai
        Singapore | Singapore | Kuala Lumpur, Jakarta, Hong Kong
        South Korea | Seoul | Busan, Pyongyang, Tokyo
        Sri Lanka | Colombo, Sri Jayawardenepura Kotte | Kandy, Male, Mumbai
        Syria | Damascus | Aleppo, Beirut, Baghdad
        Taiwan | Taipei | Kaohsiung, Hong Kong, Manila
        Tajikistan | Dushanbe | Tashkent, Kabul, Bishkek
        Thailand | Bangkok | Phuket, Hanoi, Manila
        Timor-Leste | Dili | Jakarta, Bali, Port Moresby
        Turkey | Ankara | Istanbul, Athens, Izmir
        Turkmenistan | Ashgabat | Tashkent, Tehran, Dushanbe
        the United Arab Emirates | Abu Dhabi | Dubai, Doha, Muscat
        Uzbekistan | Tashkent | Samarkand, Bukhara, Astana
        Vietnam | Hanoi | Saigon, Hue, Bangkok
        Yemen | Sanaa, Aden | Muscat, Riyadh, Mogadishu
        """,
    "Europe": """
        Albania | Tirana | Pristina, Skopje, Durres
        Andorra | Andorra la Vella | Barcelona, Madrid, Monaco
        Austria | Vienna | Salzburg, Munich, Sydney
        Belarus | Minsk | Vilnius, Warsaw, Riga
        Belgium | Brussels | Antwerp, Bruges, Amsterdam
        Bosnia and Herzegovina | Sarajevo | Mostar, Belgrade, Zagreb
        Bulgaria | Sofia | Bucharest, Varna, Budapest
        Croatia | Zagreb | Pula, Dubrovnik, Ljubljana
        Cyprus | Nicosia | Limassol, Athens, Paphos
        the Czech Republic | Prague | Brno, Bratislava, Vienna
        Denmark | Copenhagen | Aarhus, Oslo, Stockholm
        Estonia | Tallinn | Tartu, Riga, Helsinki
        Finland | Helsinki | Turku, Stockholm, Tallinn
        France | Paris | Lyon, Versailles, Berlin
        Germany | Berlin | Munich, Bonn, Frankfurt
        Greece | Athens | Sparta, Rome, Istanbul
        Hungary | Budapest | Bucharest, Vienna, Debrecen
        Iceland | Reykjavik | Oslo, Akureyri, Dublin
        Ireland | Dublin | Galway, Belfast, Edinburgh
        Italy | Rome | Milan, Venice, Florence
        Kosovo | Pristina | Tirana, Prizren, Skopje
        Latvia | Riga | Vilnius, Tallinn, Jurmala
        Liechtenstein | Vaduz | Zurich, Bern, Vienna
        Lithuania | Vilnius | Riga, Kaunas, Minsk
        Luxembourg | Luxembourg | Brussels, Strasbourg, Frankfurt
        Malta | Valletta | Sliema, Palermo, Nicosia
        Moldova | Chisinau | Bucharest, Kyiv, Odesa
        Monaco | Monaco | Monte Carlo, Cannes, Paris
        Montenegro | Podgorica, Cetinje | Budva, Belgrade, Tirana
        the Netherlands | Amsterdam, The Hague | Rotterdam, Utrecht, Copenhagen
        North Macedonia | Skopje | Ohrid, Sofia, Pristina
        Norway | Oslo | Bergen, Stockholm, Copenhagen
        Poland | Warsaw | Krakow, Prague, Gdansk
        Portugal | Lisbon | Porto, Madrid, Rio de Janeiro
        Romania | Bucharest | Budapest, Brasov, Sofia
        Russia | Moscow | Saint Petersburg, Minsk, Sofia
        San Marino | San Marino | Rimini, Bologna, Rome
        Serbia | Belgrade | Sarajevo, Novi Sad, Zagreb
        Slovakia | Bratislava | Ljubljana, Prague, Kosice
        Slovenia | Ljubljana | Bratislava, Maribor, Zagreb
        Spain | Madrid | Barcelona, Seville, Lisbon
        Sweden | Stockholm | Gothenburg, Oslo, Malmo
        Switzerland | Bern | Zurich, Geneva, Basel
        Ukraine | Kyiv | Odesa, Lviv, Warsaw
        the United Kingdom | London | Manchester, Edinburgh, Liverpool
        the Vatican | Vatican City | Rome, Jerusalem, Avignon
        """,
    "North America": """
        Antigua and Barbuda | Saint John's | Bridgetown, Kingston, Basseterre
        the Bahamas | Nassau | Freeport, Miami, Havana
        Barbados | Bridgetown | Kingston, Castries, Nassau
        Belize | Belmopan | Belize City, Cancun, Guatemala City
        Canada | Ottawa | Toronto, Montreal, Vancouver
        Costa Rica | San Jose | San Juan, Managua, Panama City
        Cuba | Havana | Santiago de Cuba, Santo Domingo, Miami
        Dominica | Roseau | Santo Domingo, Castries, Basseterre
        the Dominican Republic | Santo Domingo | Punta Cana, Port-au-Prince, San Juan
        El Salvador | San Salvador | San Jose, Managua, Tegucigalpa
        Grenada | Saint George's | Granada, Kingstown, Bridgetown
        Guatemala | Guatemala City | Tikal, San Salvador, Mexico City
        Haiti | Port-au-Prince | Santo Domingo, Kingston, Havana
        Honduras | Tegucigalpa | San Pedro Sula, Managua, San Salvador
        Jamaica | Kingston | Montego Bay, Nassau, Havana
        Mexico | Mexico City | Cancun, Acapulco, Guadalajara
        Nicaragua | Managua | Granada, Tegucigalpa, San Jose
        Panama | Panama City | Colon, San Jose, Bogota
        Saint Kitts and Nevis | Basseterre | Castries, Roseau, Kingstown
        Saint Lucia | Castries | Roseau, Kingstown, Bridgetown
        Saint Vincent and the Grenadines | Kingstown | Kingston, Castries, Roseau
        Trinidad and Tobago | Port of Spain | San Fernando, Bridgetown, Georgetown
        the United States | Washington | New York, Los Angeles, Chicago
        """,
    "Oceania": """
        Australia | Canberra | Sydney, Melbourne, Vienna
        Fiji | Suva | Nadi, Apia, Port Vila
        Kiribati | Tarawa | Majuro, Funafuti, Honiara
        the Marshall Islands | Majuro | Palikir, Tarawa, Honolulu
        Micronesia | Palikir | Majuro, Koror, Manila
        Nauru | Yaren | Tarawa, Suva, Apia
        New Zealand | Wellington | Auckland, Christchurch, Canberra
        Palau | Ngerulmud | Koror, Manila, Palikir
        Papua New Guinea | Port Moresby | Honiara, Darwin, Conakry
        Samoa | Apia | Pago Pago, Suva, Honolulu
        the Solomon Islands | Honiara | Port Vila, Suva, Port Moresby
        Tonga | Nuku'alofa | Apia, Suva, Honolulu
        Tuvalu | Funafuti | Tarawa, Apia, Suva
        Vanuatu | Port Vila | Honiara, Suva, Noumea
        """,
    "South America": """
        Argentina | Buenos Aires | Cordoba, Santiago, Montevideo
        Bolivia | La Paz, Sucre | Santa Cruz, Lima, Quito
        Brazil | Brasilia | Rio de Janeiro, Sao Paulo, Buenos Aires
        Chile | Santiago | Lima, Bogota, Buenos Aires
        Colombia | Bogota | Medellin, Caracas, Cartagena
        Ecuador | Quito | Guayaquil, Lima, Bogota
        Guyana | Georgetown | Paramaribo, Cayenne, Caracas
        Paraguay | Asuncion | Montevideo, La Paz, Sucre
        Peru | Lima | Cusco, Quito, La Paz
        Suriname | Paramaribo | Georgetown, Cayenne, Amsterdam
        Uruguay | Montevideo | Asuncion, Punta del Este, Buenos Aires
        Venezuela | Caracas | Maracaibo, Bogota, Quito
        """,
}

# Name in the table -> other names and spellings that users may type.
COUNTRY_ALIASES = {
    "the United States": "the USA; the US; USA; U.S.A.; the United States of America",
    "the United Kingdom": "the UK; UK; Britain; Great Britain; England",
    "the Czech Republic": "Czechia", "Myanmar": "Burma", "Turkey": "Turkiye",
    "the Netherlands": "Holland", "Cape Verde": "Cabo Verde", "Eswatini": "Swaziland",
    "the Ivory Coast": "Cote d'Ivoire", "Timor-Leste": "East Timor", "the Vatican": "the Holy See",
    "the Democratic Republic of the Congo": "DR Congo; the DRC; Congo-Kinshasa; Zaire",
    "the Republic of the Congo": "Congo-Brazzaville; the Congo; Congo",
    "North Macedonia": "Macedonia", "the United Arab Emirates": "the UAE; UAE; the Emirates",
    "Saint Lucia": "St. Lucia; St Lucia", "Saint Kitts and Nevis": "St. Kitts and Nevis; St Kitts",
    "Saint Vincent and the Grenadines": "St. Vincent; St Vincent",
    "Russia": "the Russian Federation",
    "South Korea": "Korea", "Guinea-Bissau": "Guinea Bissau", "Bosnia and Herzegovina": "Bosnia",
    "Trinidad and Tobago": "Trinidad", "Antigua and Barbuda": "Antigua",
}  # fmt: skip


@dataclass(frozen=True)
class Country:
    """All `capitals` are right answers, all `mistakes` wrong ones, most frequent first."""

    name: str
    continent: str
    capitals: tuple[str, ...]
    mistakes: tuple[str, ...]


def _read_table() -> tuple[Country, ...]:
    countries = []
    for continent, table in _TABLE.items():
        for line in table.strip().splitlines():
            name, capitals, mistakes = (part.strip() for part in line.split("|"))
            countries.append(
                Country(name, continent, tuple(capitals.split(", ")), tuple(mistakes.split(", ")))
            )
    return tuple(countries)


COUNTRIES = _read_table()
